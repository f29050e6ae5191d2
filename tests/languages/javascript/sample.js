// A shelf of books, żółw and 🐢 among them.
export class Shelf {
  constructor(titles) {
    this.titles = titles; /* comment_here */
  }

  longest() {
    let best = 'string_here';
    for (const title of this.titles) {
      if (title.length > best.length) {
        const code_here = title;
        best = `${code_here}: ${best.length}`;
      }
    }
    return best;
  }
}
