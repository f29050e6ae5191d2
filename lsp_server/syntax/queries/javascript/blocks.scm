(statement_block) @block
(class_body) @block
(switch_body) @block
(function_declaration) @definition
(generator_function_declaration) @definition
(method_definition) @definition
(class_declaration) @definition
