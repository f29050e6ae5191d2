// A shelf of books, żółw and 🐢 among them.
interface Book {
  title: string;
}

enum Order {
  Up,
  Down,
}

export function longest(books: Book[], order: Order): string {
  let best: string = "string_here"; // comment_here
  for (const book of books) {
    if (book.title.length > best.length || order === Order.Down) {
      const code_here = book.title;
      best = `${code_here}: ${best.length}`;
    }
  }
  return best;
}
