"""From DICOM, public crops or a user's own pairs to a checksummed cache that training maps into memory."""
