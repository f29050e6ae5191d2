((html_block) @comment (#match? @comment "^<!--"))
