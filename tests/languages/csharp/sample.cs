// A shelf of books, żółw and 🐢 among them.
using System;
using System.Collections.Generic;

namespace Library
{
    public enum Order { Up, Down }

    public interface IReader
    {
        string Read(string title);
    }

    public class Shelf
    {
        private readonly List<string> titles;
        private const string Path = @"C:\books";

        public Shelf(List<string> titles)
        {
            this.titles = titles;
        }

        public int Count => titles.Count;

        public string First
        {
            get { return titles[0]; }
        }

        public string Longest(Order order = Order.Down)
        {
            var best = "string_here"; // comment_here
            foreach (var title in titles)
            {
                if (title.Length > best.Length && title[0] != '"')
                {
                    var code_here = title;
                    best = $"{code_here}: {best.Length}";
                }
            }
            switch (order)
            {
                case Order.Up:
                    return best.ToLower();
                default:
                    return best;
            }
        }
    }
}
