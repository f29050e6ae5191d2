(string_literal) @string
(multiline_string_literal) @string
(character_literal) @string
(line_comment) @comment
(block_comment) @comment
(interpolation) @code
