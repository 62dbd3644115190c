"""What runs the int8 artefact: host kernels that compute as devices do, device runtimes, compilers of vendors."""
