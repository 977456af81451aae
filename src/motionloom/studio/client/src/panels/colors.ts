/** What an instruction without a colour of its own is drawn in. */
export const NO_COLOR = "#46cdb9";
