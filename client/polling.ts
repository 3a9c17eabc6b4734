// What is loaded when `transport.polling` is used. Bundlers name the file after this one.
export { TransportChoice } from './transport-choice.ts';
