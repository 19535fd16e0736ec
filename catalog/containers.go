// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// checkContainers fails if an event could belong to two containers: if it has two fields of the type that identifies a
// container by its mount namespace, or by its network namespace.
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
	first := ""
	for i := range s.Fields {
		switch f := &s.Fields[i]; {
		case !f.HasType(typ):
		case first == "":
			first = f.Name
		default:
			return fmt.Errorf("data source %q: both %q and %q have the type %s, but an event belongs to one container; "+
				"the first counts: declare the other as a plain number", s.Name, first, f.Name, typ)
		}
	}
	return nil
}
