(string) @string
(template_string) @string
(regex) @string
(comment) @comment
(html_comment) @comment
(template_substitution) @code
