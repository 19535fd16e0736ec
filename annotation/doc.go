// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package annotation knows the annotations that fields and data sources can carry: how each is
// called, what values it takes and what it does. [FieldKeys], [SourceKeys] and [Templates] are the
// tables; documentation and the JSON Schema of gadget.yaml are generated from their rows.
//
// Annotations are text until they are applied. A [Spec] holds those of one data source as they were
// written, in gadget.yaml or on the command line ([ParseFlags]); recordings contain it. Applied
// to a field, it fills in the typed [event.Annotations].
//
// A key that is in no table is an error, so that typing errors are found. Keys that belong
// to other programs are kept and not read: keys that start with "x-", and keys with a domain name
// and a slash, such as "example.org/team".
package annotation
