// A shelf of books, żółw and 🐢 among them.
package library

import scala.io.Source

sealed trait Order
case object Up extends Order
case object Down extends Order

case class Book(title: String, pages: Int = 0)

class Shelf(books: Seq[Book]) {
  private val names: Map[String, Int] = books.map(book => book.title -> book.pages).toMap

  def pages(title: String): Int = names.getOrElse(title, 0)

  def longest(order: Order): String = {
    var best = "string_here" // comment_here
    for (book <- books) {
      if (book.title.length > best.length && book.title.head != '"') {
        val code_here = book.title
        best = s"${code_here}: ${best.length}"
      }
    }
    order match {
      case Up   => best.toUpperCase
      case Down => best
    }
  }
}

object Shelf {
  def load(path: String): Shelf = {
    val source = Source.fromFile(path)
    try {
      new Shelf(source.getLines().map(line => Book(line)).toSeq)
    } finally {
      source.close()
    }
  }
}
