// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// systemAuthFile has root's credentials.
const systemAuthFile = "/var/lib/gizmo/config.json"

// AuthFile returns the file with this user's credentials: $REGISTRY_AUTH_FILE, or for root /var/lib/gizmo/config.json, or, where that is not there and for
// other users, Docker's.
func AuthFile() (string, error) {
	if file := os.Getenv("REGISTRY_AUTH_FILE"); file != "" {
		return file, nil
	}
	if os.Geteuid() == 0 {
		if _, err := os.Stat(systemAuthFile); !errors.Is(err, fs.ErrNotExist) {
			return systemAuthFile, err
		}
	}
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the credentials for registries: %w", err)
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json"), nil
}

func openCredentials(file string) (*credentials.DynamicStore, error) {
	var err error
	if file == "" {
		if file, err = AuthFile(); err != nil {
			return nil, err
		}
	}
	known, err := credentials.NewStore(file, credentials.StoreOptions{AllowPlaintextPut: true, DetectDefaultNativeStore: false})
	if err != nil {
		return nil, fmt.Errorf("read the credentials for registries: %w", err)
	}
	return known, nil
}

// Login keeps credentials of a registry, HOST or HOST:PORT, once the registry has accepted them. For root without another file they are kept in
// /var/lib/gizmo/config.json.
func Login(ctx context.Context, o Options, domain, user, password string) error {
	known, err := openCredentials(loginFile(o.AuthFile))
	if err != nil {
		return err
	}
	r, err := remote.NewRegistry(domain)
	if err != nil {
		return fmt.Errorf("log in to %s: %w", domain, err)
	}
	r.PlainHTTP = slices.Contains(o.Insecure, domain)
	if err := credentials.Login(ctx, known, r, auth.Credential{Username: user, Password: password}); err != nil {
		return fmt.Errorf("log in to %s: %w", domain, err)
	}
	return nil
}

// Logout forgets the credentials of a registry.
func Logout(ctx context.Context, o Options, domain string) error {
	known, err := openCredentials(loginFile(o.AuthFile))
	if err != nil {
		return err
	}
	if err := credentials.Logout(ctx, known, domain); err != nil {
		return fmt.Errorf("log out of %s: %w", domain, err)
	}
	return nil
}

// loginFile returns the file that credentials are written to.
func loginFile(file string) string {
	if file == "" && os.Getenv("REGISTRY_AUTH_FILE") == "" && os.Geteuid() == 0 {
		return systemAuthFile
	}
	return file
}
