// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/idle"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/internal/socketvalue"
)

// SocketFields returns the members of struct gadget_socket_value that the programs of an image read with these params and constants: code
// that these switch off does not count. So the owners of sockets need not have members that no gadget reads.
func SocketFields(img *image.Image, o *LoadOptions) ([]string, error) {
	o = o.withDefaults()
	img, err := o.withParams(img)
	if err != nil {
		return nil, err
	}
	spec, err := img.Spec(o.Params, o.Constants)
	if err != nil {
		return nil, err
	}
	finder := idle.New(spec, prepare.IsSetByLoading)
	read := make(map[string]bool)
	var names []string
	for i := range img.Programs {
		p := &img.Programs[i]
		if p.Disabled {
			continue
		}
		code := spec.Programs[p.Name].Instructions
		for at := range finder.Reach(p.Name) {
			relocation := btf.CORERelocationMetadata(&code[at])
			if relocation == nil {
				continue
			}
			if name := socketMember(spec, fmt.Sprint(relocation)); name != "" && !read[name] {
				read[name] = true
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// socketMember returns the name of the member whose offset a relocation, in the library's notation, is about; empty if it is about
// another struct: CORERelocation(byte_off, Struct:"gadget_socket_value"[0:11:0], local_id=7).
func socketMember(spec *ebpf.CollectionSpec, relocation string) string {
	rest, isOffset := strings.CutPrefix(relocation, `CORERelocation(byte_off, Struct:"`)
	name, rest, _ := strings.Cut(rest, `"[0:`)
	base, _, _ := strings.Cut(name, "___")
	if !isOffset || !socketvalue.IsName(base) {
		return ""
	}
	var owner *btf.Struct
	n, err := strconv.Atoi(rest[:max(strings.IndexAny(rest, ":]"), 0)])
	if err != nil || spec.Types.TypeByName(base, &owner) != nil || n >= len(owner.Members) {
		return ""
	}
	return owner.Members[n].Name
}
