// A shelf of books, żółw and 🐢 among them.
import Foundation

enum Order {
    case up, down
}

protocol Reader {
    func read(_ title: String) -> String
}

struct Book {
    let title: String
    var pages: Int = 0
}

final class Shelf: Reader {
    private var books: [Book]

    init(books: [Book] = []) {
        self.books = books
    }

    var count: Int {
        return books.count
    }

    func read(_ title: String) -> String {
        guard let book = books.first(where: { $0.title == title }) else {
            return "none"
        }
        return book.title
    }

    func longest(order: Order) -> String {
        var best = "string_here" // comment_here
        for book in books where book.title != #"a "quote""# {
            if book.title.count > best.count {
                let code_here = book.title
                best = "\(code_here): \(best.count)"
            } else {
                best += """
                    more
                    """
            }
        }
        switch order {
        case .up:
            return best.uppercased()
        case .down:
            return best
        }
    }
}
