// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/internal/gofuncs"
)

// errFound ends a search.
var errFound = errors.New("found")

// goFunction returns the first function of the name in Go's table, or nil.
func goFunction(g *gofuncs.Table, name string) (*function, error) {
	places, err := occurrences(g.Names(), name)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	var found uint32
	err = g.Each(func(entry, nameAt uint32) error {
		if _, ok := slices.BinarySearch(places, nameAt); !ok {
			return nil
		}
		found = entry
		return errFound
	})
	switch {
	case err == nil:
		return nil, nil
	case !errors.Is(err, errFound):
		return nil, err
	case g.Code == 0:
		return nil, fmt.Errorf("the file is stripped and does not say where its code starts")
	}
	return &function{name: name, addr: g.Code + uint64(found)}, nil
}
