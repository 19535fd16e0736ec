// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package encode writes events as text. Each output format has a file and a row in the table that
// [Formats] returns.
//
// Everything that can be decided once is decided by [Format.Bind]: which fields are written, in
// which order, where their bytes lie, and the text that stands between them. What is left for each
// event is a walk over a flat list of steps. An [Encoder] appends to a buffer of the caller's and
// allocates nothing itself once that buffer is large enough.
//
// Text that comes from traced programs may hold any bytes. No format lets through raw what would
// deceive a person or a terminal:
//
//   - control characters (other than the ends of a format's own lines), ends of lines and paragraphs;
//   - what changes the direction of the text around it;
//   - what leaves no mark: characters of no width, format characters, fillers, tags, variation selectors;
//   - what Unicode says is no character.
//
// They are written as escapes. Those of json, jsonpretty and yaml read back as the exact character,
// which json writes as two surrogates if it is beyond U+FFFF. columns shows \n, \r, \t, \x1b, \u202e or
// \U000e0041. A backslash of the text itself stays as it is there: columns is for people, and programs
// should read another format. Letters, marks on letters, blanks of all widths and emoji stay as they
// are; of an emoji that is made of several characters the invisible ones between are escaped, too.
// Bytes that are no UTF-8 become U+FFFD.
//
// # json, jsonpretty, yaml
//
// A field's place is its name: "proc.creds.uid" is a member of an object in an object. Keys are
// sorted by their bytes and unique: where two fields claim a place, the later one in the schema has
// it. A struct always nests, whatever its Text. Integers are exact to their last digit; floats have
// the shortest text that reads back the same, and NaN and the infinities are null in JSON. Enums are
// numbers. Bytes are hex digits. An array is an array, unless it has a Text: then it is that string.
// A field with a Text is a number or boolean if its Kind says so, and null while its text is none.
//
// YAML strings are bare where readers of YAML 1.1 and 1.2 both take them for strings, else quoted.
//
// # columns
//
// A column is as wide as its annotations say; where they say nothing, 16 cells, or for an integer of
// the record what its largest value takes (20 at most). It is never narrower than its header, unless
// it is fixed or has a MaxWidth. Without a terminal, columns keep these widths, and only MaxWidth and
// Fixed cut a value; longer ones push the rest of the line aside.
//
// On a terminal fixed columns keep their width and the others share the rest in proportion, but get
// no less than MinWidth (or 5 cells) and no less than their header where there is room for all of
// them, and no more than MaxWidth. Numbers and booleans of the record do not grow beyond the width
// they want and are cut only by MaxWidth and Fixed: half a number is a wrong one. Where all cannot
// fit, lines run over.
//
// A column annotated with Replace shows the value of the field named there, if it is there and not
// empty. A struct is a column if it has a Text or such a stand-in; its members are then hidden unless
// they are chosen. A table without columns is nothing at all.
package encode
