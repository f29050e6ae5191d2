(line_string_literal) @string
(multi_line_string_literal) @string
(raw_string_literal) @string
(comment) @comment
(multiline_comment) @comment
(interpolated_expression) @code
