export class Order {
  constructor(public id: string, public lines: string[]) {}

  total(): number {
    return this.lines.length;
  }
}

export const EMPTY = new Order("", []);
