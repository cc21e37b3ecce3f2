/** Stands in for `@ungap/structured-clone`: every browser that shows this page has its own. */
export default structuredClone
