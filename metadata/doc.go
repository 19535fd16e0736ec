// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package metadata reads and writes gadget.yaml, in which the author of a gadget says what its
// object cannot: names, descriptions, annotations, defaults.
//
// [Parse] finds all problems of a file by itself; [Metadata.Validate] then compares it
// with the gadget's object. Both report all problems at once, each with its place in the
// file.
//
// Custom params change the file: [Metadata.CustomParams] lists them, and
// [Metadata.WithCustom] makes the changes. [Update] adds to a file the parts of the object that it does not
// mention.
//
// One table for each kind of mapping (see shape.go) drives reading, writing and the JSON Schema of
// the file, schema/gadget.schema.json, which is for editors; [Keys] lists the keys for documentation.
package metadata

//go:generate go run ./internal/genschema -o ../schema/gadget.schema.json
//go:generate go run ./internal/gendocs -o ../docs/gadget-yaml.md
