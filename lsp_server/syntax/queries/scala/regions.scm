(string) @string
(interpolated_string) @string
(character_literal) @string
(comment) @comment
(block_comment) @comment
(interpolation) @code
