<?php
// A shelf of books, żółw and 🐢 among them.
# Don't count this "line.
declare(strict_types=1);

namespace Library;

use InvalidArgumentException;

interface Reader
{
    public function read(string $title): string;
}

class Shelf
{
    private array $titles;

    public function __construct(array $titles = [])
    {
        $this->titles = $titles;
    }

    public function longest(bool $up = false): string
    {
        $best = 'string_here'; // comment_here
        foreach ($this->titles as $title) {
            if (strlen($title) > strlen($best) && $title[0] !== '"') {
                $code_here = $title;
                $best = "{$code_here}: $best";
            }
        }
        switch ($up) {
            case true:
                return strtoupper($best);
            default:
                return $best;
        }
    }

    public static function of(string ...$titles): self
    {
        if ($titles === []) {
            throw new InvalidArgumentException("no titles");
        }
        return new self(array_map(fn($title) => trim($title), $titles));
    }
}
