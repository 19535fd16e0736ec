// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package filter removes the events that the user does not want to see, as a stage of the pipeline.
// An event that is removed is never formatted, and counts as filtered.
//
// There are two languages. [New] takes comparisons of single fields, all of which must hold:
//
//	proc.comm==bash,fname~^/etc/,error!=
//
// [NewExpr] takes expressions of the language of github.com/expr-lang/expr:
//
//	proc.pid == 12 && (fname startsWith "/etc/" || error == "ENOENT")
//
// Both can use the fields of the record and those that enriched types and earlier stages added, by the
// names that the output shows, and compare the values that it shows. Names and
// types are checked when a filter is bound to a schema. For an event, the filter only evaluates a
// short list of prepared terms, which read the record in place.
package filter
