// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"oras.land/oras-go/v2/content/memory"

	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// An image is signed and verified where it is, without a registry.
func Example() {
	ctx := context.Background()
	store := memory.New() // gizmo's is that of package store
	d, err := oci.Pack(ctx, store, map[string]oci.Gadget{"amd64": {Metadata: []byte("name: penguins\n")}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	image := trust.Image{Descriptor: d, Repository: "ghcr.io/antarctica/penguins"}

	text, public, err := trust.GenerateKey([]byte("a password"))
	if err != nil {
		log.Fatal(err)
	}
	key, err := trust.ParsePrivateKey(text, func() ([]byte, error) { return []byte("a password"), nil })
	if err != nil {
		log.Fatal(err)
	}
	policy := trust.Policy{Keys: []trust.Key{public}}

	_, err = trust.Verify(ctx, store, image, policy)
	fmt.Println(err, errors.Is(err, trust.ErrNoSignature))

	signature, err := trust.Sign(ctx, store, image, key, trust.SimpleSigning)
	if err != nil {
		log.Fatal(err)
	}
	image.Attached = append(image.Attached, signature) // store.Attach and store.Attached remember it

	result, err := trust.Verify(ctx, store, image, policy)
	fmt.Println(result.Format, result.Key.Sum() == public.Sum(), err)
	// Output:
	// the image has no signature true
	// cosign true <nil>
}
