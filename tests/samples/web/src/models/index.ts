export * from "./order";
export { Order as Purchase } from "./order";
