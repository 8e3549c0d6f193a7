// Match the colours that catalogues and people name; see `colour_words.py`.

import { COLOUR_COLUMNS, TERM_OF_WORD } from "./grammar.js";
import { fold } from "./terms.js";

export const COLUMN = "colour";

/** Return the basic term of a folded colour, or the colour itself. @param {string} word @returns {string} */
export const termOf = (word) => (Object.hasOwn(TERM_OF_WORD, word) ? /** @type {Record<string, string>} */ (TERM_OF_WORD)[word] : word);

/** Return whether a column of this name holds colours. @param {string} name */
export const isColourColumn = (name) => COLOUR_COLUMNS.includes(fold(name).trim());

/** Split a cell into its colours, as written. @param {string} cell */
export const splitColours = (cell) => cell.split(/[,;/、]/).map((part) => part.trim()).filter(Boolean);

/** Return the colours of a cell, folded, by their basic terms. @param {string} cell */
export const colourTerms = (cell) => splitColours(fold(cell)).map(termOf);
