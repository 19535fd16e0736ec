// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// parse analyses testdata/NAME without metadata.
func parse(t testing.TB, name string) *Image {
	t.Helper()
	return parseWith(t, name, "")
}

// parseWith analyses testdata/NAME with the text of a gadget.yaml.
func parseWith(t testing.TB, name, yaml string) *Image {
	t.Helper()
	img, err := parseObject(fixture.Compile(t, name).Object, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func parseObject(object []byte, yaml string) (*Image, error) {
	if yaml == "" {
		return Parse(bytes.NewReader(object), nil)
	}
	meta, err := metadata.Parse("gadget.yaml", []byte(yaml))
	if err != nil {
		return nil, err
	}
	return Parse(bytes.NewReader(object), meta)
}
