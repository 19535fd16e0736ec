// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package encode writes events as text. Each output format has a file and a row in the table that
// [Formats] returns.
//
// [Format.Bind] decides everything that can be decided once: which fields are written, in
// which order, where their bytes are, and the text between them. For each
// event, an encoder only walks over a flat list of steps. An [Encoder] appends to a buffer of the caller's and
// allocates nothing itself once that buffer is large enough.
//
// Text that comes from traced programs may hold any bytes. All formats escape characters that could
// deceive a person or a terminal:
//
//   - control characters (other than the ends of a format's own lines), line and paragraph separators;
//   - characters that change the direction of the text around them;
//   - invisible characters: characters of no width, format characters, fillers, tags, variation selectors;
//   - noncharacters of Unicode.
//
// The escapes of json, jsonpretty and yaml read back as the exact character; json writes two surrogates
// for a character beyond U+FFFF. columns shows \n, \r, \t, \x1b, \u202e or
// \U000e0041, and does not escape a backslash of the text itself: columns is for people, and programs
// should read another format. Letters, marks on letters, blanks of all widths and emoji are not
// escaped; in an emoji that consists of several characters, the invisible ones between them are.
// Bytes that are not UTF-8 become U+FFFD.
//
// # json, jsonpretty, yaml
//
// A field's name is its place: "proc.creds.uid" is a member of an object in an object. Keys are
// sorted by their bytes and unique: if two fields have the same place, the later one in the schema gets
// it. A struct always nests, whatever its Text. Integers are exact to their last digit; floats have
// the shortest text that reads back the same, and NaN and the infinities are null in JSON. Enums are
// numbers. Bytes are hex digits. An array is an array, unless it has a Text: then it is that string.
// A field with a Text is a number or boolean if its Kind says so, and null if its text is not one.
//
// YAML strings are bare where readers of YAML 1.1 and 1.2 both take them for strings, else quoted.
//
// # columns
//
// A column is as wide as its annotations say; without such annotations it has 16 cells, or for an integer of
// the record enough for its largest value (20 at most). It is never narrower than its header, unless
// it is fixed or has a MaxWidth. Without a terminal, columns keep these widths, and only MaxWidth and
// Fixed cut a value; longer values move the rest of the line to the right.
//
// On a terminal fixed columns keep their width and the others share the rest in proportion, but get
// no less than MinWidth (or 5 cells), no less than their header if there is room for all
// headers, and no more than MaxWidth. Numbers and booleans of the record do not grow beyond the width
// they want, and only MaxWidth and Fixed cut them: a part of a number is a wrong number. If not all columns
// fit, lines are longer than the terminal.
//
// A column annotated with Replace shows the value of the field named there, if it exists and is not
// empty. A struct is a column if it has a Text or such a replacement; its members are then hidden unless
// they are chosen. A table without columns has no output at all.
package encode
