((literal) @string (#match? @string "^['\"]"))
(comment) @comment
(marginalia) @comment
