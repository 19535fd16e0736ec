// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package event describes the data that flows through gizmo: the fields of a data source ([Field],
// [Schema]) and the records themselves ([Batch]).
//
// Records stay as the kernel wrote them. A [Schema] says where each field's bytes are in a record
// and what they mean; a [Reader] appends a field's text to a buffer at the moment of output.
// This package does not use the kernel, and it imports the standard library only.
package event
