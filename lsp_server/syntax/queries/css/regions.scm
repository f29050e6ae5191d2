(string_value) @string
(comment) @comment
