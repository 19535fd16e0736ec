// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import "github.com/gizmo-ebpf/gizmo/event"

func jsonPrettyFormat() Format {
	return Format{
		Name:      "jsonpretty",
		Doc:       "JSON for people: one member per line, indented.",
		AllFields: true,
		Bind: func(s *event.Schema, o Options) (Encoder, error) {
			return bindJSON(s, o, jsonLayout{indent: true})
		},
	}
}
