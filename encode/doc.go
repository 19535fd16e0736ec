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
// Text that comes from traced programs may hold any bytes. No format lets a control character
// through raw (other than the ends of its own lines), nor a character that changes the direction of
// the text around it: json, jsonpretty and yaml escape them, columns shows a dot. Bytes that are no
// UTF-8 become U+FFFD.
package encode
