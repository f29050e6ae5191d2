(element) @definition
(script_element) @definition
(style_element) @definition
