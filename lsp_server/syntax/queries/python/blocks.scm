(block) @block
(function_definition) @definition
(class_definition) @definition
