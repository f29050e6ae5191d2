#ifndef SHELF_BOOK_H
#define SHELF_BOOK_H

#include <stddef.h>

#define BOOK_MAX 100
#define BOOK_FITS(n) \
    ((n) < BOOK_MAX)

/* One book. */
typedef struct book {
    const char *title;
    char **authors;
    size_t pages[2];
    int (*compare)(const struct book *, const struct book *);
} book_t;

enum order { BY_TITLE, BY_PAGES };

typedef unsigned long book_id;

/* Finds a book by its title,
 * or gives NULL. */
book_t *book_find(const char *title, enum order order);

#endif
