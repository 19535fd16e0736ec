// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package event describes what flows through gizmo: the fields of a data source ([Field],
// [Schema]) and the records themselves ([Batch]).
//
// Records stay as the kernel wrote them. A [Schema] says where each field's bytes lie in a record
// and what they mean; a [Reader] appends a field's text to a buffer at the moment of output.
// Nothing in this package asks the kernel for anything, and it imports the standard library only.
package event
