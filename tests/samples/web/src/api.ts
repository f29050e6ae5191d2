import type { Order } from "./models/order.js";

export interface Reply<T> {
  status: number;
  body?: T;
}

export type Fetcher = (url: string) => Promise<string>;

/** Talks to the shop. */
export default class Api {
  private base: string;

  constructor(base: string, readonly fetcher: Fetcher) {
    this.base = base;
  }

  /**
   * Sends an order.
   */
  async send(order: Order): Promise<Reply<string>> {
    return { status: 200, body: await this.fetcher(this.base + order.id) };
  }
}

export const retry = async <T>(times: number, work: () => Promise<T>): Promise<T> => {
  return work();
};

export enum Mode {
  Fast,
  Slow,
}
