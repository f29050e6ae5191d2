# A shelf of books, żółw and 🐢 among them.
require "json"

module Library
  class Shelf
    attr_reader :titles

    def initialize(titles = [])
      @titles = titles
      @index = { first: 0, last: titles.size }
    end

    # Finds a title; "don't" is a word.
    def longest(order: :down)
      best = 'string_here' # comment_here
      @titles.each do |title|
        if title.size > best.size && title !~ /["'(]/
          code_here = title
          best = "#{code_here}: #{best.size}"
        end
      end
      case order
      when :up then best.upcase
      else
        best
      end
    end

    def self.load(path)
      data = JSON.parse(File.read(path))
      new(data.map { |row| row["title"] })
    rescue Errno::ENOENT => error
      warn "no #{path}: #{error.message}"
    end

    def empty? = @titles.empty?
  end
end
