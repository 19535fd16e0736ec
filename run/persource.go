// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// perSource splits "a" or "ds:a<sep>ds2:b" into the text for each data source. Text without a
// name applies to all.
func perSource(text, sep string, all []event.SourceID) (map[event.SourceID]string, error) {
	out := make(map[event.SourceID]string)
	if text == "" {
		return out, nil
	}
	for part := range strings.SplitSeq(text, sep) {
		name, value, named := strings.Cut(part, ":")
		if !named {
			value = part
		} else if err := mustExist(name, all); err != nil {
			return nil, err
		}
		for _, id := range all {
			if !named || id.Matches(name) {
				out[id] = value
			}
		}
	}
	return out, nil
}

// mustExist returns an error if no data source has the name.
func mustExist(name string, all []event.SourceID) error {
	if slices.ContainsFunc(all, func(id event.SourceID) bool { return id.Matches(name) }) {
		return nil
	}
	var names []string
	for _, id := range all {
		names = append(names, id.String())
	}
	return fmt.Errorf("there is no data source %q%s", name, nearest.Hint(name, names))
}
