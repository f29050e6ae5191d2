// A shelf of books, żółw and 🐢 among them.
package library

import java.io.File

enum class Order { UP, DOWN }

interface Reader {
    fun read(title: String): String
}

data class Book(val title: String, val pages: Int = 0)

class Shelf(private val books: List<Book>) : Reader {
    private val names: Map<String, Int> = books.associate { it.title to it.pages }

    override fun read(title: String): String = names[title]?.toString() ?: """no "$title" here"""

    fun longest(order: Order): String {
        var best = "string_here" // comment_here
        for (book in books) {
            if (book.title.length > best.length && book.title[0] != '"') {
                val code_here = book.title
                best = "${code_here}: ${best.length}"
            }
        }
        return when (order) {
            Order.UP -> best.uppercase()
            else -> best
        }
    }

    companion object {
        fun load(path: String): Shelf {
            val lines = File(path).readLines()
            return Shelf(lines.map { Book(it) })
        }
    }
}
