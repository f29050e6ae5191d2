//! A shelf of books, żółw and 🐢 among them.
pub struct Shelf<'a> {
    titles: Vec<&'a str>,
}

impl<'a> Shelf<'a> {
    pub fn longest(&self) -> String {
        let mut best = String::from("string_here"); // comment_here
        for title in &self.titles {
            if title.len() > best.len() && !title.ends_with('"') {
                let code_here = title.to_string();
                best = code_here;
            }
        }
        match best.as_str() {
            "" => String::new(),
            _ => best,
        }
    }
}
