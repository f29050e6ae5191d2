// A shelf of books, żółw and 🐢 among them.
import java.util.List;

public class Shelf {
    private final List<String> titles;

    public Shelf(List<String> titles) {
        this.titles = titles; /* comment_here */
    }

    public String longest() {
        String best = "string_here";
        for (String title : titles) {
            if (title.length() > best.length() && title.charAt(0) != '"') {
                String code_here = title;
                best = code_here;
            }
        }
        return best;
    }
}
