(section) @definition
