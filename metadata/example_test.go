// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata_test

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/metadata"
)

func ExampleMetadata_WithCustom() {
	m, err := metadata.Parse("gadget.yaml", []byte(`
datasources:
  top:
    annotations: {fetch-interval: 1s}
params:
  custom:
    speed:
      description: How often to show the table.
      values:
        fast: {patch: {datasources: {top: {annotations: {fetch-interval: 100ms}}}}}
        slow: {patch: {datasources: {top: {annotations: {fetch-interval: 10s}}}}}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range m.CustomParams() {
		fmt.Println(p.Key, p.Values, p.Description)
	}
	slow, err := m.WithCustom(map[string]string{"speed": "slow"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(slow.Source("top").Source["fetch-interval"])
	_, err = m.WithCustom(map[string]string{"speed": "fats"})
	fmt.Println(err)
	// Output:
	// speed [fast slow] How often to show the table.
	// 10s
	// param "speed": unknown value "fats"; did you mean "fast"?
}

func ExampleUpdate() {
	text, added, err := metadata.Update("gadget.yaml", []byte("name: mine # and only mine\n"), &metadata.Object{
		Name: "my_gadget",
		DataSources: []metadata.ObjectSource{{Name: "open", Fields: []metadata.ObjectField{
			{Name: "comm", Described: true}, {Name: "fname"},
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d added\n%s", added, text)
	// Output:
	// 4 added
	// name: mine # and only mine
	// description: "" # describe me
	// datasources:
	//   open:
	//     annotations:
	//       description: "" # describe me
	//     fields:
	//       comm:
	//         annotations: {}
	//       fname:
	//         annotations:
	//           description: "" # describe me
}
