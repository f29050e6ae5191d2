// A shelf of books, żółw and 🐢 among them.
type Props = { titles: string[] };

export function Shelf({ titles }: Props) {
  const heading: string = "string_here"; // comment_here
  const rows = titles.map((title) => {
    const code_here = title.trim();
    return <li key={code_here}>{code_here}</li>;
  });
  return (
    <section>
      <h1>{heading}</h1>
      <ul>{rows}</ul>
    </section>
  );
}
