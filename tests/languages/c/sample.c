/* A shelf of books, żółw and 🐢 among them. */
#include <string.h>

struct shelf {
    const char **titles;
    int n_titles;
};

const char *longest(const struct shelf *shelf) {
    const char *best = "string_here"; // comment_here
    for (int i = 0; i < shelf->n_titles; i++) {
        if (strlen(shelf->titles[i]) > strlen(best) && best[0] != '"') {
            const char *code_here = shelf->titles[i];
            best = code_here;
        }
    }
    return best;
}
