// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package annotation knows the annotations that fields and data sources can carry: how each is
// called, what values it takes and what it does. [FieldKeys], [SourceKeys] and [Templates] are the
// tables; documentation and the JSON Schema of gadget.yaml follow from their rows.
//
// Annotations are text until they are applied. A [Spec] holds those of one data source as they were
// written, in gadget.yaml or on the command line ([ParseFlags]); it travels in recordings. Applied
// to a field, it fills in the typed [event.Annotations].
//
// A key that is in no table is an error, so that a slip of the keyboard is found. Keys that belong
// to other programs are kept and not read: those that start with "x-", and those with a domain name
// and a slash, such as "example.org/team".
package annotation
