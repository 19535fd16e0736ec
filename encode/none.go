// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import "github.com/gizmo-ebpf/gizmo/event"

func noneFormat() Format {
	return Format{
		Name:     "none",
		Doc:      "Nothing: for gadgets that are run for their metrics or for a recording.",
		NoFields: true,
		Bind:     func(*event.Schema, Options) (Encoder, error) { return silence{}, nil },
	}
}

// silence writes nothing.
type silence struct{}

func (silence) Head(dst []byte) []byte                   { return dst }
func (silence) Append(dst []byte, _ *event.Batch) []byte { return dst }
