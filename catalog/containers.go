// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// checkContainers fails if an event could belong to two containers: if it has two fields of the type that identifies a
// container by its mount namespace, or by its network namespace. Members of structs count, too.
func checkContainers(img *image.Image) error {
	var errs []error
	for i := range img.DataSources {
		for _, typ := range []string{"gadget_mntns_id", "gadget_netns_id"} {
			errs = append(errs, checkOnlyOne(img.DataSources[i].Schema, typ))
		}
	}
	return errors.Join(errs...)
}

func checkOnlyOne(s *event.Schema, typ string) error {
	var names []string
	for i := range s.Fields {
		if f := &s.Fields[i]; f.HasType(typ) {
			names = append(names, strconv.Quote(f.Name))
		}
	}
	if len(names) < 2 {
		return nil
	}
	return fmt.Errorf("data source %q: the fields %s have the type %s, but an event belongs to one container: keep the type for one of them "+
		"and declare the others as numbers, members of a struct in a struct of the gadget's own", s.Name, strings.Join(names, ", "), typ)
}
