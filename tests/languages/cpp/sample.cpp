/* A shelf of books, żółw and 🐢 among them. */
#include <string>
#include <vector>

namespace shelf {

class Shelf {
public:
    explicit Shelf(std::vector<std::string> titles) : titles_(std::move(titles)) {}

    std::string longest() const {
        std::string best = "string_here"; // comment_here
        for (const auto &title : titles_) {
            if (title.size() > best.size() && title[0] != '"') {
                std::string code_here = title;
                best = code_here;
            }
        }
        return best;
    }

private:
    std::vector<std::string> titles_;
};

}  // namespace shelf
